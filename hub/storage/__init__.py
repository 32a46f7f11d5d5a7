"""Where everything is kept: database engine, units of work, migrations, content store."""
