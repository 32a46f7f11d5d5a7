"""Mails of MSSanté: XDM by e-mail and notices written, delivery and reading reports read as what a stranger made."""
