"""The gateway: one public origin. Who you are, what you may, where it goes; and the console."""
