"""Why a path is dead or crippled: the first broken link between client and server, in plain words."""
