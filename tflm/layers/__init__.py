"""What two models share: Keras layers, written with `keras.ops` only."""
