"""``python -m nqs_hpc``."""

from nqs_hpc.cli.begin import begin

raise SystemExit(begin())
