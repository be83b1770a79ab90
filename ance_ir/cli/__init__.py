"""The command ``ance-ir``: one file a subcommand, each of which parses its arguments and calls a public function."""
