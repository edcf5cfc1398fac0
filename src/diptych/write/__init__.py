"""The left panel: commands, aggregates and deciders, repositories, one unit of work per command."""
