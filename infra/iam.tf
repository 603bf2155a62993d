# The least roles: the table of docs/reference/iam.md, row by row. `when` names the case in
# which a row applies.

locals {
  grants = [
    { who = "submitter", role = "roles/cloudbuild.builds.editor", on = "project", when = "always" },
    { who = "submitter", role = "roles/iam.serviceAccountUser", on = "build_account", when = "always" },
    { who = "submitter", role = "roles/storage.objectCreator", on = "bucket", when = "always" },
    { who = "submitter", role = "roles/storage.objectViewer", on = "bucket", when = "always" },
    { who = "submitter", role = "roles/run.viewer", on = "project", when = "always" },
    { who = "submitter", role = "roles/logging.viewer", on = "project", when = "always" },
    { who = "submitter", role = "roles/secretmanager.viewer", on = "secret", when = "always" },
    { who = "cleanup", role = "roles/run.developer", on = "project", when = "always" },
    { who = "lookout", role = "roles/iam.securityReviewer", on = "project", when = "always" },
    { who = "lookout", role = "roles/serviceusage.serviceUsageViewer", on = "project", when = "always" },
    { who = "lookout", role = "roles/artifactregistry.reader", on = "repository", when = "always" },
    { who = "lookout", role = "roles/vpcaccess.viewer", on = "project", when = "always" },
    { who = "lookout", role = "roles/compute.networkViewer", on = "project", when = "always" },
    { who = "lookout", role = "roles/secretmanager.secretAccessor", on = "secret", when = "always" },
    { who = "approver", role = "roles/cloudbuild.builds.approver", on = "project", when = "always" },
    { who = "rotator", role = "roles/secretmanager.secretVersionManager", on = "secret", when = "always" },
    { who = "rotator", role = "roles/secretmanager.secretAccessor", on = "secret", when = "always" },
    { who = "build", role = "roles/logging.logWriter", on = "project", when = "always" },
    { who = "build", role = "roles/artifactregistry.writer", on = "repository", when = "always" },
    { who = "build", role = "roles/storage.objectViewer", on = "bucket", when = "always" },
    { who = "build", role = "roles/run.developer", on = "project", when = "always" },
    { who = "build", role = "roles/iam.serviceAccountUser", on = "job_account", when = "always" },
    { who = "build", role = "roles/logging.viewer", on = "project", when = "always" },
    { who = "build", role = "roles/cloudbuild.builds.viewer", on = "project", when = "always" },
    { who = "build", role = "roles/secretmanager.viewer", on = "secret", when = "always" },
    { who = "runtime", role = "roles/secretmanager.secretAccessor", on = "secret", when = "always" },
    { who = "runtime", role = "roles/cloudsql.client", on = "project", when = "cloud_sql" },
    { who = "runtime", role = "roles/cloudsql.instanceUser", on = "project", when = "iam_login" },
    { who = "agent", role = "roles/compute.networkUser", on = "subnet", when = "shared_subnet" },
    { who = "agent", role = "roles/vpcaccess.user", on = "host_project", when = "shared_connector" },
    { who = "agent", role = "roles/artifactregistry.reader", on = "image_project", when = "other_image" },
  ]

  # Cases that the environment's file makes true.
  cases = {
    always           = true
    cloud_sql        = local.settings.cloudsql_instance != null
    iam_login        = contains(["1", "true", "yes", "on"], lower(lookup(local.settings.variables, "MIGRATE_IAM_AUTH", "")))
    shared_subnet    = local.subnet_project != local.project
    shared_connector = local.connector_project != local.project
    other_image      = local.image.project != local.project
  }

  launch_account = "migration-launch@${local.project}.iam.gserviceaccount.com"
  workflow       = var.github != "" ? ["serviceAccount:${local.launch_account}"] : []
  launching      = concat(var.launchers, local.workflow)

  members = {
    submitter = local.launching
    cleanup   = local.launching
    lookout   = local.launching
    approver  = var.approvers
    rotator   = var.rotators
    build     = ["serviceAccount:${local.build_account}"]
    runtime   = ["serviceAccount:${local.job_account}"]
    agent     = ["serviceAccount:service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"]
  }

  # A workflow launches, and reads no secret.
  rows = flatten([
    for grant in local.grants : [
      for member in local.members[grant.who] : merge(grant, { member = member })
      if !(grant.role == "roles/secretmanager.secretAccessor" && contains(local.workflow, member))
    ] if local.cases[grant.when]
  ])
  by_place = {
    for place in distinct(local.grants[*].on) : place => {
      for row in local.rows : "${row.member} ${row.role}" => row... if row.on == place
    }
  }
}

resource "google_project_iam_member" "project" {
  for_each = local.by_place["project"]

  project = local.project
  role    = each.value[0].role
  member  = each.value[0].member

  depends_on = [google_service_account.build, google_service_account.job, google_service_account.launch]
}

resource "google_project_iam_member" "host_project" {
  for_each = local.by_place["host_project"]

  project = local.connector_project
  role    = each.value[0].role
  member  = each.value[0].member
}

resource "google_service_account_iam_member" "build_account" {
  for_each = local.by_place["build_account"]

  service_account_id = google_service_account.build.name
  role               = each.value[0].role
  member             = each.value[0].member

  depends_on = [google_service_account.launch]
}

resource "google_service_account_iam_member" "job_account" {
  for_each = local.by_place["job_account"]

  service_account_id = google_service_account.job.name
  role               = each.value[0].role
  member             = each.value[0].member

  depends_on = [google_service_account.build]
}

resource "google_storage_bucket_iam_member" "bucket" {
  for_each = local.by_place["bucket"]

  bucket = google_storage_bucket.source.name
  role   = each.value[0].role
  member = each.value[0].member

  depends_on = [google_service_account.build, google_service_account.launch]
}

resource "google_artifact_registry_repository_iam_member" "repository" {
  for_each = merge(local.by_place["repository"], local.by_place["image_project"])

  project    = google_artifact_registry_repository.images.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = each.value[0].role
  member     = each.value[0].member

  depends_on = [google_service_account.build, google_service_account.launch]
}

resource "google_secret_manager_secret_iam_member" "secret" {
  for_each = local.by_place["secret"]

  project   = local.project
  secret_id = google_secret_manager_secret.database_url.secret_id
  role      = each.value[0].role
  member    = each.value[0].member

  depends_on = [google_service_account.build, google_service_account.job, google_service_account.launch]
}

resource "google_compute_subnetwork_iam_member" "subnet" {
  for_each = local.by_place["subnet"]

  project    = local.subnet_project
  region     = local.region
  subnetwork = local.subnet
  role       = each.value[0].role
  member     = each.value[0].member

  depends_on = [google_compute_subnetwork.this]
}
