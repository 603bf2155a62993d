variable "environment" {
  description = "The environment: everything else about it stands in environments/NAME.yaml."
  type        = string
}

variable "launchers" {
  description = "Who launches, cleans up and looks ahead: members, as in a policy."
  type        = list(string)
  default     = []
}

variable "approvers" {
  description = "Who approves builds that wait; not who submits them."
  type        = list(string)
  default     = []
}

variable "rotators" {
  description = "Who changes the database's address and password."
  type        = list(string)
  default     = []
}

variable "github" {
  description = "OWNER/NAME of the repository whose workflow launches; empty: none does."
  type        = string
  default     = ""
}

variable "make_network" {
  description = "Whether the network is made here; most projects have the one named default."
  type        = bool
  default     = false
}

variable "make_subnet" {
  description = "Whether the subnet of Direct VPC egress is made here."
  type        = bool
  default     = false
}

variable "subnet_range" {
  description = "Its addresses: a /26 or larger."
  type        = string
  default     = "10.9.0.0/26"
}

variable "connector_range" {
  description = "The addresses of a VPC connector: a /28."
  type        = string
  default     = "10.8.0.0/28"
}
