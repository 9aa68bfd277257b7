"""Offline: encoders and heads as ONNX graphs, their int8 form, and the proof that both answer alike. Needs the extra train."""
