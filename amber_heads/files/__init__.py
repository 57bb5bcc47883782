"""Files as others will find them: whole, within bounds, the same bytes again.

Nothing is imported here; take names from their modules, which import only those above them:

    whole_folders  files and folders that are whole or not there
    tensor_files   safetensors, looked at before they are opened
    figure_files   figures as PNG and SVG, one function for all
"""
