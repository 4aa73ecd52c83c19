"""Pure rules of the gateway: keys, routes, the merged API document."""
