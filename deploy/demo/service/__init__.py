"""smartresume-api, the demo service: standard library only, so that its image needs no package index."""
