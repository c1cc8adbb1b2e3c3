# expect: softmax-before-cross-entropy
import torch
from transformers import Trainer


class WeightedTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        probabilities = torch.softmax(outputs.logits, dim=-1)
        loss = torch.nn.functional.cross_entropy(probabilities, labels)
        return (loss, outputs) if return_outputs else loss
