"""Every code that the doctor knows: what it means and why, an example that has it, what helps. Codes never change meaning."""

from __future__ import annotations

from edgepipe.diagnosis import Explanation, Finding, Severity
from edgepipe.errors import UsageError

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def _code(code: str, severity: Severity, title: str, text: str, example: str, fix: str) -> Explanation:
    return Explanation(code=code, severity=severity, title=title, text=text, example=example, fix=fix)


CODES: dict[str, Explanation] = {
    each.code: each
    for each in (
        _code(
            "EP101",
            ERROR,
            "the model holds code of its own",
            "A Lambda, a custom layer or a function from another module is Python code inside the file. edgepipe never runs "
            "code that came with a model, and no tool can prune, quantise or port what it cannot see.",
            "keras.layers.Lambda(lambda x: x * 2)",
            "Say the same with Keras layers, as keras.layers.Rescaling(2.0) says x * 2, or move it in front of the model; a "
            "model that only its code can build goes in as module:function.",
        ),
        _code(
            "EP102",
            ERROR,
            "the model does not say which layers it has",
            "A subclassed model's forward pass is a Python method. Its file holds weights, but not how they are joined, so no"
            " layer can be treated by itself.",
            "class Net(keras.Model): def call(self, x): return self.dense(x)",
            "Build it with the functional API: keras.Model(inputs, outputs). The layers and weights stay the same.",
        ),
        _code(
            "EP103",
            ERROR,
            "an input has an open dimension",
            "A board sets its memory aside once, before the first inference; a picture or series of any size has no size to "
            "set aside. An open batch is no problem: conversion fixes it to 1.",
            "keras.layers.Input((None, None, 3))",
            "Build the model again with the size it will get, Input((96, 96, 3)), and load the weights: those of convolutions"
            " do not depend on it.",
        ),
        _code(
            "EP104",
            WARNING,
            "a layer that the doctor does not know",
            "What becomes of this layer is not in the doctor's table, or its settings are not; it says nothing rather than "
            "guess. Everything else about the model holds.",
            "keras.layers.Conv2D(8, 3, data_format='channels_first')",
            "`edgepipe doctor MODEL --target T --deep` converts the model and looks.",
        ),
        _code(
            "EP105",
            NOTE,
            "trained in mixed precision",
            "The layer computes in float16 or bfloat16 with float32 weights. That made training fast, and no converter has "
            "operators for it. So the model is computed in float32 from the start, with the same weights.",
            "keras.mixed_precision.set_global_policy('mixed_float16')",
            "Nothing to do.",
        ),
        _code(
            "EP106",
            WARNING,
            "several outputs",
            "Training stages and accuracy need labels for what comes out, and data has labels for one output.",
            "keras.Model(x, [classes, boxes])",
            "Compress the part with the one output that matters, or quantise all of it with data that has no labels.",
        ),
        _code(
            "EP107",
            ERROR,
            "an operation or a setting that Keras 2 does not have",
            "TF-MOT works on Keras 2, so a Keras 3 model is built again there, part by part. For this operation on tensors,"
            " or this setting of a layer, there is nothing to build it from.",
            "keras.ops.top_k(x, 3)",
            "Leave it to the code around the model, or write it in arithmetic and the older layers.",
        ),
        _code(
            "EP201",
            ERROR,
            "TFLite has no operator for it",
            "TensorFlow computes it, TensorFlow Lite has nothing that does; conversion fails, whatever the target. With Flex "
            "operators it would, but those need all of TensorFlow on the board.",
            "keras.layers.MaxPooling3D(2)",
            "Use a layer that TFLite has: pool two dimensions at a time, upsample bilinearly.",
        ),
        _code(
            "EP202",
            ERROR,
            "the target's runtime does not have the operator",
            "The model converts, and on the board the interpreter stops with “Didn't find op”. TensorFlow Lite Micro has "
            "about a hundred operators, TensorFlow Lite about 170.",
            "keras.layers.RepeatVector(3) for mcu: TILE",
            "Use layers that it has: `edgepipe doctor` says of each which operators it becomes.",
        ),
        _code(
            "EP203",
            ERROR,
            "the target's kernel refuses this use of the operator",
            "The operator is there, but its kernel takes only floats, or fewer dimensions or inputs than here. Nothing shows "
            "it before the interpreter prepares the model on the board.",
            "keras.layers.Dense(8, activation='softplus') for mcu: EXP in int8",
            "Use another activation; join or slice in several steps.",
        ),
        _code(
            "EP204",
            ERROR,
            "a part stays in float at int8",
            "TensorFlow's converter has no integer form of this operator, and puts DEQUANTIZE and QUANTIZE around it without "
            "a word. The file looks quantised; a microcontroller, which has integers only, refuses it.",
            "keras.layers.ReLU(threshold=0.5) becomes GREATER, CAST, QUANTIZE, MUL",
            "Use a usual layer instead, here ReLU() without a threshold; on targets that have floats it is slow but runs.",
        ),
        _code(
            "EP205",
            ERROR,
            "a recurrent loop that cannot be quantised",
            "Quantising to int8 runs the model on samples, and TensorFlow's calibrator crashes on a loop that stays in the graph. "
            "Recurrent layers are unrolled up to a number of steps, a usual LSTM is one operator; what is longer, stateful or of "
            "another kind stays a loop.",
            "keras.layers.GRU(8) on 500 steps; keras.layers.ConvLSTM2D",
            "An LSTM with its default activations and bias, or shorter series.",
        ),
        _code(
            "EP206",
            NOTE,
            "a recurrent layer is unrolled",
            "Each step becomes some ten to twenty operators of its own, which share their weights. It runs everywhere, but "
            "the file and the arena grow with the number of steps.",
            "keras.layers.GRU(8) on 50 steps",
            "An LSTM is one operator; fewer, longer steps help too.",
        ),
        _code(
            "EP301",
            NOTE,
            "layers that quantisation-aware training leaves out",
            "TF-MOT knows only some layers. Where it meets another it refuses the whole model; edgepipe annotates the ones it"
            " knows, and the others are quantised on conversion, from calibration data. Usually that costs nothing that "
            "shows.",
            "keras.layers.Conv1D, keras.layers.Multiply",
            "Nothing to do; compare mode: qat with mode: int8 on your test data.",
        ),
        _code(
            "EP302",
            NOTE,
            "an activation keeps its layer out of quantisation-aware training",
            "TF-MOT does not know where such an activation rounds, and would refuse the whole model. The layer that has it inside "
            "is left out, and quantised on conversion.",
            "keras.layers.Conv2D(8, 3, activation='softplus')",
            "Nothing to do; or put the activation into a layer of its own, so that the convolution is trained.",
        ),
        _code(
            "EP303",
            WARNING,
            "a normalisation that cannot be folded",
            "BatchNormalization right after a linear convolution or dense layer disappears into its weights. Elsewhere it "
            "stays: a multiplication and an addition more, each with its own rounding, and no rounding-aware training.",
            "BatchNormalization()(Add()([a, b]))",
            "Put it between the convolution and its activation.",
        ),
        _code(
            "EP304",
            NOTE,
            "nothing to prune or to cluster",
            "The stage works on convolutions and dense layers; this model has none, so the stage would stop with an error.",
            "a model of pooling layers only",
            "Leave the stage out.",
        ),
        _code(
            "EP305",
            NOTE,
            "written in another form before training",
            "TF-MOT refuses models within a model, and normalisations behind an activation. edgepipe writes both in a form "
            "that computes the same, proves it on random inputs, and says so; names in reports are those of the new form "
            "(outer/inner).",
            "BatchNormalization()(Conv2D(8, 3, activation='relu')(x))",
            "Nothing to do.",
        ),
        _code(
            "EP401",
            ERROR,
            "too large for the board's flash",
            "The weights at int8, the file around them and the runtime's code take more than the board has. Linkers say so "
            "only at the very end.",
            "a dense layer of 4 million weights on 2 MiB",
            "Smaller layers, a pooling layer before the largest dense one, or a larger board. Pruning and clustering shrink "
            "downloads, not flash.",
        ),
        _code(
            "EP402",
            ERROR,
            "too large for the board's RAM",
            "The tensors that must live at the same time take more than the RAM that is there: no arena will do.",
            "a convolution of 64 channels on a 96 x 96 picture with 256 KiB: 2 x 576 KiB",
            "Stride or pool earlier, use fewer channels in the first layers, feed a smaller picture.",
        ),
        _code(
            "EP403",
            WARNING,
            "it may not fit",
            "The estimates leave both answers open: what surely is needed fits, what may be needed does not. Stack, other "
            "buffers and your program need RAM too.",
            "an arena between 180 and 300 KiB on a board with 256 KiB",
            "`edgepipe quantize`, then `edgepipe export` measures the arena.",
        ),
        _code(
            "EP404",
            WARNING,
            "one dense layer holds most of the weights",
            "Flattening a picture into a dense layer multiplies its pixels by its units. Such a layer is most of the file and"
            " little of the accuracy.",
            "Dense(128)(Flatten()(x)) where x is 24 x 24 x 64: 4.7 million weights",
            "Put GlobalAveragePooling2D in place of Flatten, or pool before it.",
        ),
        _code(
            "EP501",
            NOTE,
            "takes pictures, and does not scale them",
            "The network begins with no Rescaling or normalisation, so it expects the values it was trained on, often 0..1. A"
            " camera gives 0..255: fed as they are, the answers are wrong and nothing says so.",
            "Input((96, 96, 3)) followed by Conv2D",
            "Scale in front of the model as in training; `--data` checks yours. Rescaling(1/255) as first layer takes raw values.",
        ),
        _code(
            "EP502",
            NOTE,
            "scales its inputs itself",
            "The network begins with Rescaling or a normalisation: it expects raw values, 0..255 for pictures. At int8 the "
            "input's scale is about 1, so a camera's byte minus 128 is the input as it is.",
            "Rescaling(1/255)(Input((96, 96, 3)))",
            "Feed raw values. Do not divide by 255 a second time.",
        ),
        _code(
            "EP503",
            WARNING,
            "the data does not look like what the model takes",
            "The values given with --data have another range, shape or type than the model's inputs.",
            "--data pictures.npz with 0..255 for a model trained on 0..1",
            "Scale the data as in training.",
        ),
        _code(
            "EP504",
            WARNING,
            "word numbers come in as floats",
            "The input feeds an Embedding but is a float input, which is quantised like any other: at int8 it has 256 "
            "different values, and words beyond are confused.",
            "Embedding(10_000, 16)(Input((20,)))",
            "Give the input a whole type: Input((20,), dtype='int32').",
        ),
        _code(
            "EP601",
            ERROR,
            "the file does not fit the target",
            "Read back from the .tflite: an operator, a type or a shape that the target does not have.",
            "a float32 .tflite for mcu",
            "`edgepipe quantize --mode int8 --target mcu` makes one that does.",
        ),
        _code(
            "EP602",
            WARNING,
            "something in the file is suspicious",
            "The file would run, but a tensor's range fits no real data, or dimensions were left open.",
            "calibrated with random numbers or with zeros",
            "Calibrate with real samples, scaled as on the device.",
        ),
        _code(
            "EP701",
            ERROR,
            "conversion failed",
            "With --deep the model was converted for real, and TensorFlow or the target's interpreter refused it.",
            "--deep on a model that TensorFlow's converter crashes on",
            "The message names the operator; the findings above name the layer.",
        ),
        _code(
            "EP702",
            WARNING,
            "the conversion differs from what was said",
            "With --deep the real file was compared with the static verdict, and they differ. The real file is right.",
            "an operator that a newer converter writes otherwise",
            "Trust the file; please report the model's summary().",
        ),
        _code(
            "EP703",
            NOTE,
            "converted for real",
            "With --deep the model was converted to int8, read back, and run by the target's own interpreter where that is "
            "installed.",
            "edgepipe doctor model.keras --target mcu --deep",
            "Nothing to do.",
        ),
    )
}


def finding(code: str, what: str, *, layer: str = "", why: str = "", fix: str = "", severity: Severity | None = None) -> Finding:
    """Return a finding with what its code says where nothing better is known."""
    row = CODES[code]
    return Finding(code=code, severity=severity or row.severity, layer=layer, what=what, why=why or row.title, fix=fix or row.fix)


def explain(code: str) -> Explanation:
    """Return what a code means. Raises UsageError that lists all codes."""
    row = CODES.get(code.strip().upper())
    if row is None:
        raise UsageError(f'there is no code "{code}"', problems=[f"{each.code}: {each.title}" for each in CODES.values()])
    return row
