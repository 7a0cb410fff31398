import exchange  # noqa: F401  # it lets imports find compiled modules, which must not mix with sources
