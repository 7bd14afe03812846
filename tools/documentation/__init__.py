"""What builds and checks the pages: mkdocs.yml and .ci/prose use it."""
