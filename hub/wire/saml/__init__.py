"""SAML 2.0 assertions about users: read and verified (ITI-40), issued (ITI-40 as X-Service User, VIHF)."""
