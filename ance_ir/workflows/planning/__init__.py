"""What a job will need: unit costs measured on a machine (``units``), and the laws that make a plan of them (``stages``)."""
