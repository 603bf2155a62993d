# What a first launch expects to find, for one environment. The same as
# scripts/bootstrap_gcp.py, for those who keep their projects in Terraform; a test holds the
# two together. The settings are read from the environment's own file: nothing is said twice.

locals {
  file = yamldecode(file("${path.module}/../environments/${var.environment}.yaml"))
  defaults = {
    source_bucket     = null
    network           = null
    subnet            = null
    connector         = null
    cloudsql_instance = null
    variables         = {}
  }
  settings = merge(local.defaults, local.file.launch)

  project       = local.settings.project
  region        = local.settings.region
  build_account = local.settings.build_service_account
  job_account   = local.settings.job_service_account

  # As gcloud names its own bucket.
  plain  = replace(replace(replace(local.project, ".", "_"), ":", "_"), "google", "elgoog")
  bucket = local.settings.source_bucket != null ? local.settings.source_bucket : "${local.plain}_${local.region}_cloudbuild"

  has_connector = local.settings.connector != null
  has_vpc       = local.settings.network != null || local.settings.subnet != null
  network       = local.settings.network != null ? basename(local.settings.network) : "default"
  subnet        = local.settings.subnet != null ? basename(local.settings.subnet) : local.network
  connector     = local.has_connector ? basename(local.settings.connector) : ""

  # HOST-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE
  image = regex("^(?P<region>[^.]+)-docker\\.pkg\\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/", local.settings.image)

  # Another project's network, connector or image is named in full.
  subnet_project    = can(regex("^projects/", coalesce(local.settings.subnet, "-"))) ? split("/", local.settings.subnet)[1] : local.project
  connector_project = can(regex("^projects/", coalesce(local.settings.connector, "-"))) ? split("/", local.settings.connector)[1] : local.project

  # Those of a launch, those of a setting, those of the preflight, those of a workflow.
  apis = toset(concat(
    ["artifactregistry", "cloudbuild", "logging", "run", "secretmanager", "storage"],
    local.has_connector ? ["vpcaccess"] : [],
    local.has_vpc || local.has_connector ? ["compute"] : [],
    local.settings.cloudsql_instance != null ? ["sqladmin"] : [],
    ["cloudresourcemanager", "iam", "serviceusage"],
    var.github != "" ? ["iamcredentials", "sts"] : [],
  ))
}

data "google_project" "this" {
  project_id = local.project
}

resource "google_project_service" "api" {
  for_each = local.apis

  project            = local.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

resource "google_service_account" "build" {
  project      = local.project
  account_id   = split("@", local.build_account)[0]
  display_name = "Builds and launches migrations of ${var.environment}"

  depends_on = [google_project_service.api]
}

resource "google_service_account" "job" {
  project      = local.project
  account_id   = split("@", local.job_account)[0]
  display_name = "Migrates the database of ${var.environment}"

  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository" "images" {
  project       = local.image.project
  location      = local.image.region
  repository_id = local.image.repository
  format        = "DOCKER"

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket" "source" {
  project                     = local.project
  name                        = local.bucket
  location                    = local.region
  uniform_bucket_level_access = true

  depends_on = [google_project_service.api]
}

# Only the container of the secret: a value given here would stand in the state.
resource "google_secret_manager_secret" "database_url" {
  project   = local.project
  secret_id = local.settings.database_secret

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

# --- the way to the database ---------------------------------------------------------------

resource "google_compute_network" "this" {
  count = var.make_network ? 1 : 0

  project                 = local.subnet_project
  name                    = local.network
  auto_create_subnetworks = false

  depends_on = [google_project_service.api]
}

resource "google_compute_subnetwork" "this" {
  count = var.make_subnet ? 1 : 0

  project                  = local.subnet_project
  name                     = local.subnet
  region                   = local.region
  network                  = local.network
  ip_cidr_range            = var.subnet_range
  private_ip_google_access = true

  depends_on = [google_compute_network.this, google_project_service.api]
}

resource "google_vpc_access_connector" "this" {
  count = local.has_connector && local.connector_project == local.project ? 1 : 0

  project       = local.project
  name          = local.connector
  region        = local.region
  network       = local.network
  ip_cidr_range = var.connector_range
  min_instances = 2
  max_instances = 3

  depends_on = [google_compute_network.this, google_project_service.api]
}
