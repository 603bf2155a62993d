"""The index of the tests' fixtures, options and header; each plug-in says the rest.

Loaded by pytest before anything else. Holds no fixture of its own.
"""

pytest_plugins = [
    "tests.fix_workers",  # how many processes run the tests, and which tests share one
    "tests.fix_environment",  # a clean environment; hypothesis profiles
    "tests.fix_postgres",  # servers, databases, pgbouncer; --pg-version; the header
    "tests.fix_pgbouncer",  # a real pooler in front of them
    "tests.fix_cli",  # run_migrate, start_migrate, a_directory
    "tests.fix_inside",  # migrate_inside: the same without a process
    "tests.fix_emulator",  # emulator, start_emulator, google: Google's clients
    "tests.fix_checkout",  # checkout: a directory, a project and a database to launch in
    "tests.fix_golden",  # golden, --update-golden
    "tests.fix_story",  # story: a project with the least roles, checkouts to launch from
    "tests.fix_contained",  # contained: an emulated cloud of real containers
    "tests.fix_project",  # project: a directory and a database that belong together
]
