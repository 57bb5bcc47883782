"""How a command comes to its settings.

Nothing is imported here; take names from their modules, which import only those above them:

    types     what a setting may be
    values    one value, read from text, TOML or JSON
    settings  a configuration class's fields
    sources   flags, environment and files, merged
"""
