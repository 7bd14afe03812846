"""What client libraries make of faults: docs/faults-clients.md is made of what these tests see.

``python -m tests.faults`` plays all libraries, and writes outcomes.json and the page's table anew.
"""
