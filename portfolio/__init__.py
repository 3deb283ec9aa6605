"""What a position is, and when two views of it disagree.

Pure: the standard library's pure parts and msgspec. No clock, no randomness, no I/O. Times come in as integers of
milliseconds UTC (economic times of trades: nanoseconds), amounts as integers of 1e-6 ("micro").
"""
