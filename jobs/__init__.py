"""The orchestrator: one launch is build, job, execution, verdict, clean-up."""
