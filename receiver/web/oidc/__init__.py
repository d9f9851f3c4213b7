"""Signing in to the pages at an OpenID Connect provider (extra `oidc`)."""
