"""Reads a folder of event files with TensorBoard's own reader and prints what is in them as JSON."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
texts = {tag: tensor_util.make_ndarray(events.Tensors(tag)[-1].tensor_proto) for tag in tags["tensors"]}
pictures = {tag: events.Images(tag)[-1] for tag in tags["images"]}
print(
    json.dumps(
        {
            "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
            "texts": {tag: text.ravel()[0].decode() for tag, text in texts.items()},
            "pictures": {
                tag: {
                    "step": e.step,
                    "width": e.width,
                    "height": e.height,
                    "start": e.encoded_image_string[:6].decode(),
                    "about": events.SummaryMetadata(tag).summary_description,
                }
                for tag, e in pictures.items()
            },
        }
    )
)
