"""Who looks at the pages: sessions, and the ways to get one."""
