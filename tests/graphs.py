"""What is in a TensorFlow graph, for tests of what it must not hold."""


def functions_of(graph_def) -> list:
    """The FunctionDefs that a GraphDef brings with it."""
    fields = {field.name: value for field, value in graph_def.ListFields()}
    return list(fields["library"].function) if "library" in fields else []


def nodes_of(graph_def) -> list:
    """All NodeDefs, those of its functions among them."""
    return [*graph_def.node, *(n for f in functions_of(graph_def) for n in f.node_def)]
