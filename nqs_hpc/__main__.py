"""``python -m nqs_hpc``."""

from nqs_hpc.cli.command import main

raise SystemExit(main())
