"""What is published to others only grows: events, and the operations of the public API."""
