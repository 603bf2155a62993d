"""``python -m migrate``."""

from migrate.cli import main
from migrate.streams import leave

leave(main())
