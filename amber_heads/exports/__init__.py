"""What was trained, for other programs and for a model hub.

Nothing is imported here; take names from their modules, which import only those above them:

    places      where an export goes
    model_card  a run's card for a model hub
    hub         a folder for a model hub
    onnx_graph  a run's models as one ONNX graph
    onnx_file   that as a file
"""
