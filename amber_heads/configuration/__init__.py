"""What can be asked for, completed and checked before anything heavy is imported.

Nothing is imported here; take names from their modules, which import only those above them:

    options      what can be told, as typed configuration classes
    axes         a grid's axes, from text
    systems      what a comparison compares: one entry a system
    cells        what a fit, a grid or a comparison trains
    checks       what numbers a configuration may hold
    settings     what was told, completed and checked
    use_options  what predict and eval can be told
"""
