output "next" {
  description = "What is left to do by hand: the secret's value belongs in no state."
  value       = "python -m jobs secret set-url ${var.environment} --new && python -m jobs doctor ${var.environment}"
}

output "workload_identity_provider" {
  description = "The variable WORKLOAD_IDENTITY_PROVIDER of the environment in GitHub."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}

output "launch_account" {
  description = "The variable LAUNCH_ACCOUNT of the environment in GitHub."
  value       = one(google_service_account.launch[*].email)
}
