"""What makes a service out of its parts: the application and the machinery behind its doors."""
