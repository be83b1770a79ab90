"""What units of work cost on machines, a file each, as ``ance-ir bench units`` writes it; ``machine.py`` says what it holds."""
