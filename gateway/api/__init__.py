"""Door 1, HTTP: the front, what it forwards, and the routes that the gateway answers itself."""
