"""``python -m ance_ir`` is ``ance-ir``; so torchrun starts it."""

from ance_ir.cli.main import main

raise SystemExit(main())
