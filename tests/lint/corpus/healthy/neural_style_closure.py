import torch
from torch import optim

input_img = torch.rand(1, 3, 64, 64).requires_grad_(True)
optimizer = optim.LBFGS([input_img])
run = [0]
while run[0] <= 300:

    def closure():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        style_score = 0
        content_score = 0
        for sl in style_losses:
            style_score += sl.loss
        for cl in content_losses:
            content_score += cl.loss
        loss = style_score * 1e6 + content_score
        loss.backward()
        run[0] += 1
        return style_score + content_score

    optimizer.step(closure)
