"""The event log: outbox, sequencer, feed, doorbell and subscriber."""
