"""How the product is run: the local runner, the secrets, the demo and the container files."""
