"""One file per tool: argv in, typed result out. Parsers are pure and tested on recorded real outputs."""
