"""One session's decisions without I/O: what is a segment, when to commit, what to say, who accounts."""
