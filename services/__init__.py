"""The running half of mailweir: agents, the stream below them and the command line."""
