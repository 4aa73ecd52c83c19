"""The services of Huitou, one package each."""
