# A workflow launches without a key: GitHub's token of one job of one repository, which names
# this environment, is taken for the account migration-launch.

resource "google_service_account" "launch" {
  count = var.github != "" ? 1 : 0

  project      = local.project
  account_id   = "migration-launch"
  display_name = "Launches migrations of ${var.environment} from ${var.github}"

  depends_on = [google_project_service.api]
}

resource "google_iam_workload_identity_pool" "github" {
  count = var.github != "" ? 1 : 0

  project                   = local.project
  workload_identity_pool_id = "github"

  depends_on = [google_project_service.api]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count = var.github != "" ? 1 : 0

  project                            = local.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = "assertion.repository=='${var.github}'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "workflow" {
  count = var.github != "" ? 1 : 0

  service_account_id = google_service_account.launch[0].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/subject/repo:${var.github}:environment:${var.environment}"
}
