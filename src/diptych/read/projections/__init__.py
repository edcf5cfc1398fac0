"""Say what a read model is, and turn a batch of events into its rows."""
