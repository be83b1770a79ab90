"""Models as graphs for other runtimes: ``graph`` is what is exported, ``formats/`` how it is written, ``writing`` the folder."""
