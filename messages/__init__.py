"""The only vocabulary the actors share: addresses, envelopes, reads, the cycle, control, and their codec.

Pure, like ``portfolio`` below it; wraps its events and outcomes and adds who says what to whom.
"""
