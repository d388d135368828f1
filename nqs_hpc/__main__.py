"""``python -m nqs_hpc``."""

from nqs_hpc.cli import main

raise SystemExit(main())
