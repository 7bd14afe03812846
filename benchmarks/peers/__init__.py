"""The six jobs that ``benchmarks/clients.py`` measures, done with each client: a module and a class for each."""
